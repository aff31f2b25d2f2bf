import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])
W = torch.zeros(1)
lr = 0.01
epochs = 10

for epoch in range(1, epochs + 1):
    errors = W * x - y
    cost = torch.mean(errors**2).item()
    gradient = 2 * torch.sum(errors * x)
    print(f"Epoch: {epoch:4d}/{epochs} W: {W.item():.3f}, Cost: {cost:.6f}")
    W -= lr * gradient
