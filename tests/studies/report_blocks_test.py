from genret.studies.report_blocks import Link, joined


def test_links_are_joined_like_words():
  link = Link(text="a", href="b")
  assert joined([link, link], " and ") == [link, " and ", link]
  assert joined([]) == []
