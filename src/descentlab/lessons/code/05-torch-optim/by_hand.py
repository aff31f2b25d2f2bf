x = [1, 2, 3]
y = [1, 2, 3]
W, grad = 0.0, 0.0
lr = 0.15

for epoch in range(1, 11):
    errors = [W * x_i - y_i for x_i, y_i in zip(x, y)]
    cost = sum(error**2 for error in errors) / len(x)
    print(f"Epoch: {epoch:4d}/10 W: {W:.3f}, Cost: {cost:.6f}")
    grad = 0.0
    grad += 2 * sum(error * x_i for error, x_i in zip(errors, x)) / len(x)
    W -= lr * grad
