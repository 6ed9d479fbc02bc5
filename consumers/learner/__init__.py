"""The learner: impressions and rewards in, one model per artwork, snapshots out.

:mod:`task` learns, :mod:`teaching` works out what the partition's titles teach the catalogue, :mod:`shared_prior`
follows what all learners' titles teach, :mod:`publishing` makes snapshots of both.
"""

from consumers.learner.shared_prior import SharedPriorView
from consumers.learner.task import LearnerTask, learner_job

__all__ = ["LearnerTask", "SharedPriorView", "learner_job"]
