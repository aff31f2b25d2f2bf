import descentlab as dl

x, y = [1, 2, 3], [3, 4, 5]

W, b = dl.descend(dl.Problem(x, y), lr=0.1, epochs=40).params
print(f"x as it is:  W: {W:.3f}, b: {b:.3f}")
W, b = dl.descend(dl.Problem(x, y, center=True), lr=0.1, epochs=40).params
print(f"x centered:  W: {W:.3f}, b: {b:.3f}")
