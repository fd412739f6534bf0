import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def test_the_python_of_the_formats_page_runs_as_it_stands(tmp_path: Path) -> None:
    record, *others = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in (("record.py", record), ("read.py", "\n".join(others))):
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "20 episodes, 2,020 frames" in done.stdout
