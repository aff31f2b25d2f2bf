import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])
W = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([W], lr=0.01, momentum=0.9)

for epoch in range(1, 13):
    print(f"Epoch: {epoch:2d}, W: {W.item():.3f}")
    cost = torch.mean((W * x - y) ** 2)
    optimizer.zero_grad()
    cost.backward()
    optimizer.step()
