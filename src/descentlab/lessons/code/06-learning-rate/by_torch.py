import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])


def cost(W):
    return torch.mean((W * x - y) ** 2)


curvature = torch.func.hessian(cost)(torch.tensor(0.0)).item()
print(f"bound: {2 / curvature:.4f}")

for lr in (0.01, 0.05, 0.15, 0.2, 0.25):
    W = torch.tensor(0.0, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=lr)
    for epoch in range(10):
        optimizer.zero_grad()
        cost(W).backward()
        optimizer.step()
    factor = 1 - lr * curvature
    print(f"lr: {lr:.2f}, factor: {factor:.4f}, W: {W.item():.3f}")
