import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])

for W in (0.0, 0.5, 1.0, 1.5, 2.0):
    cost = torch.mean((W * x - y) ** 2)
    print(f"W: {W:.1f}, Cost: {cost.item():.6f}")
