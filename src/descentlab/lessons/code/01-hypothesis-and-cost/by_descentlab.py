import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)

for W in (0.0, 0.5, 1.0, 1.5, 2.0):
    print(f"W: {W:.1f}, Cost: {problem.cost([W]):.6f}")
