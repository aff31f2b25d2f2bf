import torch

rows = [
    [73, 80, 75],
    [93, 88, 93],
    [89, 91, 90],
    [96, 98, 100],
    [73, 66, 70],
]
X = torch.tensor(rows, dtype=torch.float32)
y = torch.tensor([152.0, 185, 180, 196, 142])
w = torch.zeros(3, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([w, b], lr=1e-5)

for done in range(1001):
    cost = torch.mean((X @ w + b - y) ** 2)
    if done in (10, 20, 1000):
        print(f"after {done:4d}: cost {cost.item():.3f}, b {b.item():.1f}")
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

A = torch.column_stack([X, torch.ones(len(y))]).double()
best = torch.linalg.lstsq(A, y.double()).solution
cost = torch.mean((A @ best - y) ** 2)
print(f"the minimum: cost {cost.item():.3f}, b {best[3].item():.1f}")
