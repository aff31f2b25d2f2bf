x = [1, 2, 3]
y = [1, 2, 3]


def cost(W):
    return sum((W * x_i - y_i) ** 2 for x_i, y_i in zip(x, y)) / len(x)


for W in (0.0, 0.5, 1.0, 1.5, 2.0):
    print(f"W: {W:.1f}, Cost: {cost(W):.6f}")
