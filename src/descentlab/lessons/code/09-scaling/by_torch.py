import torch

X = [[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]]
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor([152.0, 185, 180, 196, 142])
mean, deviation = X.mean(dim=0), X.std(dim=0, correction=0)
Z = (X - mean) / deviation
W = torch.zeros(3, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([W, b], lr=0.1)

for epoch in range(1, 101):
    cost = torch.mean((Z @ W + b - y) ** 2)
    if epoch in (1, 20, 24, 100):
        print(f"Epoch: {epoch:3d}, Cost: {cost.item():.2f}")
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

new = (torch.tensor([80.0, 85, 80]) - mean) / deviation
print(f"A new student: {(new @ W + b).item():.1f}")
