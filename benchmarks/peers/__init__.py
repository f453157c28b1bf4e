"""What a delta, a turn and a request cost, beside other clients; see docs/performance.md.

`make bench-peers`. `streams` is what is sent, `endpoint` sends it, `cases` are the rows to measure,
`roster` the clients, `measure` runs one client in a process of its own, `__main__` runs them all
interleaved, `report` writes the tables. A module of `clients` is one client as its users write it.
"""
