import numpy as np
import torch

x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
y = torch.tensor([2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0])

for lr in (0.02, 0.01, 0.005):
    order = np.random.default_rng(0)
    W = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=lr)
    costs = []
    for epoch in range(300):
        with torch.no_grad():
            costs.append(torch.mean((W * x - y) ** 2).item())
        for rows in torch.from_numpy(order.permutation(8)).split(2):
            cost = torch.mean((W * x[rows] - y[rows]) ** 2)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
    print(f"lr: {lr}, mean of last 200 costs: {np.mean(costs[100:]):.3f}")
