"""What is learned, from records to snapshots.

* Sums: :mod:`~stream.learning.model` is River's model of one artwork, :mod:`~stream.learning.sums` those of all
  artworks in shared arrays, :mod:`~stream.learning.book` the titles of a partition, with
  :mod:`~stream.learning.title_state` beside their sums, :mod:`~stream.learning.stored` for the changelog,
  :mod:`~stream.learning.drift` for what turns and :mod:`~stream.learning.spread` for how evenly they are shown.
* What the catalogue teaches every artwork: :mod:`~stream.learning.prior`, :mod:`~stream.learning.lessons`,
  :mod:`~stream.learning.teaching`.
* Snapshots of both: :mod:`~stream.learning.publication`, by :mod:`~stream.learning.gathering` and
  :mod:`~stream.learning.posterior`, unless :mod:`~stream.learning.soundness` forbids it.
"""
