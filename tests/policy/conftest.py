"""The policy process has policy/ as its root; so have these tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "policy"))
sys.path.insert(0, str(Path(__file__).parent))
