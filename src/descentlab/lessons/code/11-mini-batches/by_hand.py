import numpy as np

x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
y = np.array([2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0])

for lr in (0.02, 0.01, 0.005):
    order = np.random.default_rng(0)
    W = 0.0
    costs = []
    for epoch in range(300):
        costs.append(np.mean((W * x - y) ** 2))
        for rows in order.permutation(8).reshape(4, 2):
            gradient = 2 * np.mean((W * x[rows] - y[rows]) * x[rows])
            W -= lr * gradient
    print(f"lr: {lr}, mean of last 200 costs: {np.mean(costs[100:]):.3f}")
