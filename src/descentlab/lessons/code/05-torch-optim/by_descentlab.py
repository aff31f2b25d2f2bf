import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
run = dl.descend(problem, lr=0.15, epochs=10, zero_grad=True)
print(run.table())
