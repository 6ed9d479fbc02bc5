"""The whole loop on one machine, to watch: broker, workers, serving node and an audience.

:mod:`run` starts and ends it, :mod:`processes` keeps the processes, :mod:`settings` is what they are told,
:mod:`scene` is who comes and what is shown, :mod:`watch` and :mod:`tally` follow what happens, and :mod:`view`
shows it.
"""

from consumers.demo.run import CATALOGUE, run_demo
from consumers.demo.scene import DemoRules
from consumers.demo.settings import demo_settings, environment

__all__ = ["CATALOGUE", "DemoRules", "demo_settings", "environment", "run_demo"]
