import torch

x = torch.tensor([1.0, 2.0, 3.0])
y = torch.tensor([1.0, 2.0, 3.0])
W = torch.zeros(1)
lr = 0.1

gradient = 2 * torch.sum((W * x - y) * x)
W -= lr * gradient
print(f"gradient: {gradient.item():.3f}, W: {W.item():.3f}")
