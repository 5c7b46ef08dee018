"""The measurements of `handclasp bench`: this library beside `ssl`.

All in one run and one process, the stacks in turn within each round, so that a machine that slows
down slows all of them. `measure` has the rows and the clock, `stacks` the libraries behind one
surface; `handshakes`, `records`, `streams` and `machine` have the rows; `report` and `plot` show
what came out. They build on the public surface, as any application would. In the repository,
`bench` has more stacks to compare with.
"""
