import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])
W = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([W], lr=0.15)

for epoch in range(1, 11):
    cost = torch.mean((W * x - y) ** 2)
    print(f"Epoch: {epoch:4d}/10 W: {W.item():.3f}, Cost: {cost:.6f}")
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()
