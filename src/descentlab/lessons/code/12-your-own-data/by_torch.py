import torch

x = torch.arange(1.0, 25.0)
y = x + 2


def descend(x, lr, epochs=10):
    W = torch.zeros(1, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([W, b], lr=lr)
    for epoch in range(epochs):
        cost = torch.mean((W * x + b - y) ** 2)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    cost = torch.mean((W * x + b - y) ** 2)
    return W.item(), b.item(), cost.item()


W, b, cost = descend(x, lr=0.01)
print(f"before: cost {cost:.2e}")

mean, spread = x.mean().item(), x.std(correction=0).item()
W, b, cost = descend((x - mean) / spread, lr=0.4)
W, b = W / spread, b - W * mean / spread  # for x as it was
print(f"after: W {W:.3f}, b {b:.3f}, cost {cost:.6f}")
