x = [1, 2, 3]
y = [1, 2, 3]
W = 0.0
lr = 0.1

gradient = 2 * sum((W * x_i - y_i) * x_i for x_i, y_i in zip(x, y))
W -= lr * gradient
print(f"gradient: {gradient:.3f}, W: {W:.3f}")
