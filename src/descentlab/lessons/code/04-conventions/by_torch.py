import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])
costs = {
    "mean": lambda W: torch.mean((W * x - y) ** 2),
    "half_mean": lambda W: torch.mean((W * x - y) ** 2) / 2,
    "sum": lambda W: torch.sum((W * x - y) ** 2),
    "half_sum": lambda W: torch.sum((W * x - y) ** 2) / 2,
}
rates = {"mean": 0.03, "half_mean": 0.06, "sum": 0.01, "half_sum": 0.02}

for name, cost in costs.items():
    gradient = torch.func.grad(cost)  # the derivative, found by torch
    W = torch.tensor(0.0)
    for epoch in range(10):
        W = W - rates[name] * gradient(W)
    print(f"{name:9} lr: {rates[name]:.2f} W: {W.item():.3f}")
