"""What the runs of all examples share. `run` puts this folder's parent on the path; brokers come from test/support."""

import os
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(REPOSITORY, "test"))
