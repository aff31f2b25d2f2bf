x = [1, 2, 3]
y = [1, 2, 3]
W = 0.0
lr = 0.01
epochs = 10

for epoch in range(1, epochs + 1):
    errors = [W * x_i - y_i for x_i, y_i in zip(x, y)]
    cost = sum(e**2 for e in errors) / len(x)
    gradient = 2 * sum(e * x_i for e, x_i in zip(errors, x))
    print(f"Epoch: {epoch:4d}/{epochs} W: {W:.3f}, Cost: {cost:.6f}")
    W -= lr * gradient
