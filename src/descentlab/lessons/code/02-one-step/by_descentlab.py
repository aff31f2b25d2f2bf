import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
gradient = problem.gradient([0.0], "sum")[0]
run = dl.descend(problem, lr=0.1, reduction="sum", epochs=1)
print(f"gradient: {gradient:.3f}, W: {run.params[0]:.3f}")
