import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
run = dl.descend(problem, lr=0.01, reduction="sum", epochs=10)
print(run.table())
