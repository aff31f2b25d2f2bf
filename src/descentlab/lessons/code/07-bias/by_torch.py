import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([3.0, 4.0, 5.0])


def descend(x):
    W = torch.zeros(1, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=0.1)
    for _ in range(40):
        cost = torch.mean((W * x + b - y) ** 2)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    return W.item(), b.item()


W, b = descend(x)
print(f"x as it is:  W: {W:.3f}, b: {b:.3f}")
W, b = descend(x - x.mean())
print(f"x centered:  W: {W:.3f}, b: {b - W * x.mean().item():.3f}")
