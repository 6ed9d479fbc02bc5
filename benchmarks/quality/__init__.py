"""How well artwork is chosen: documented worlds, and policies side by side on the same visits and draws.

* :mod:`~benchmarks.quality.audience` makes titles, artworks and members; :mod:`~benchmarks.quality.worlds` makes
  worlds of them.
* :mod:`~benchmarks.quality.policies` holds what every policy keeps, and the references; ``ours`` runs Keyart's own
  code; ``peers`` runs other libraries.
* :mod:`~benchmarks.quality.run` plays a policy in a world; ``table`` and ``plot`` show what came of it.
"""
