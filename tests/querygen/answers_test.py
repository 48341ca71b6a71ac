import os
import subprocess
import sys
import threading

import pytest

from genret.core.errors import ArtifactError, DataError
from genret.querygen.answers import Answered, Answers
from genret.querygen.prompting import Answer, Ask, Prompt


def ask(docno, *, n=2, grade=None):
  return Ask(prompt=Prompt(), docno=docno, text="t", n=n, grade=grade)


FIRST = Answer(texts=("a", "ü\n"), log_probabilities=(-1.5, -2.0), cut=True)
SECOND = Answer(texts=("c",), prompt_tokens=7)


def test_what_was_added_is_there_after_opening_again(tmp_path):
  path = tmp_path / "answers.jsonl"
  with Answers(path) as answers:
    answers.add([ask("d1"), ask("d2")], [FIRST, SECOND])
    answers.add([ask("d1", n=1)], [SECOND])
    before = answers.of(("d1", None))
  assert before == [
    Answered(asked=2, answer=FIRST),
    Answered(asked=1, answer=SECOND),
  ]
  with Answers(path) as answers:
    assert answers.of(("d1", None)) == before
    assert answers.of(("d2", None)) == [Answered(asked=2, answer=SECOND)]
    assert answers.of(("d1", 1)) == []


def test_a_torn_line_is_cut_off_whole(tmp_path):
  path = tmp_path / "answers.jsonl"
  with Answers(path) as answers:
    answers.add([ask("d1")], [FIRST])
    whole = path.read_bytes()
    answers.add([ask("d2"), ask("d3")], [FIRST, SECOND])
  path.write_bytes(path.read_bytes()[:-5])
  with Answers(path) as answers:
    assert not answers.of(("d2", None)) and answers.of(("d1", None))
    assert path.read_bytes() == whole
    answers.add([ask("d2")], [SECOND])
  with Answers(path) as answers:
    assert answers.of(("d2", None))[0].answer == SECOND


def test_a_broken_line_is_named(tmp_path):
  path = tmp_path / "answers.jsonl"
  path.write_text('{"no": 1}\n[]\n')
  with pytest.raises(DataError, match=r"answers.jsonl:1: no line of answers"):
    Answers(path)


def test_one_run_writes_at_a_time(tmp_path):
  path = tmp_path / "answers.jsonl"
  with Answers(path) as answers:
    assert not answers
    with pytest.raises(ArtifactError, match="Another run is writing"):
      Answers(path)
    answers.add([ask("d1")], [FIRST])
    assert answers
  with Answers(path) as answers:
    assert answers.of(("d1", None))


def test_what_could_not_be_written_whole_is_gone(tmp_path):
  path = tmp_path / "answers.jsonl"
  code = f"""
import resource, signal
from genret.querygen.answers import Answers
from genret.querygen.prompting import Answer, Ask, Prompt

ask = Ask(prompt=Prompt(), docno="d", text="t", n=1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with Answers({str(path)!r}) as answers:
  try:
    answers.add([ask], [Answer(texts=("x" * 2000,))])
    raise SystemExit("a file without limit")
  except OSError:
    answers.add([ask], [Answer(texts=("y",))])
"""
  environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
  subprocess.run([sys.executable, "-c", code], check=True, env=environment)
  with Answers(path) as answers:
    (kept,) = answers.of(("d", None))
  assert kept.answer.texts == ("y",)


def test_long_lines_and_many_threads(tmp_path):
  path = tmp_path / "answers.jsonl"
  long = Answer(texts=("x" * 200_000,))
  with Answers(path) as answers:
    threads = [
      threading.Thread(target=answers.add, args=([ask(f"d{i}")], [long]))
      for i in range(8)
    ]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
  with Answers(path) as answers:
    found = [answers.of((f"d{i}", None)) for i in range(8)]
  assert all(len(one) == 1 and one[0].answer == long for one in found)
