import descentlab as dl

x = list(range(1, 25))
y = [x_i + 2 for x_i in x]

run = dl.descend(dl.Problem(x, y), lr=0.01, epochs=10)
print(f"before: cost {run.cost:.2e}")

problem = dl.Problem(x, y, standardize=True)
run = dl.descend(problem, lr=0.4, epochs=10)
W, b = run.params  # for x as it was
print(f"after: W {W:.3f}, b {b:.3f}, cost {run.cost:.6f}")
