"""x"""
from pathlib import Path
PARTS = Path(__file__).parent / "page"
