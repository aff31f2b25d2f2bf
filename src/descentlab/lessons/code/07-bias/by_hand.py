x = [1, 2, 3]
y = [3, 4, 5]
mean = sum(x) / len(x)
lr = 0.1


def descend(x):
    W = b = 0.0
    for _ in range(40):
        errors = [W * x_i + b - y_i for x_i, y_i in zip(x, y)]
        slope_W = 2 * sum(e * x_i for e, x_i in zip(errors, x)) / len(x)
        slope_b = 2 * sum(errors) / len(x)
        W -= lr * slope_W
        b -= lr * slope_b
    return W, b


W, b = descend(x)
print(f"x as it is:  W: {W:.3f}, b: {b:.3f}")
W, b = descend([x_i - mean for x_i in x])
print(f"x centered:  W: {W:.3f}, b: {b - W * mean:.3f}")
