# SPDX-License-Identifier: MIT
"""Every rule holds but for its listed exceptions, and every exception is needed."""
import pytest

import rules


@pytest.fixture(params=rules.RULES, ids=lambda rule: rule.name)
def rule(request):
    if not request.param.measurable():
        pytest.skip("what it measures is not here")
    return request.param


def test_the_rule_holds_but_for_its_exceptions(rule):
    listed = rule.exceptions()
    new = ["%s: %d, not %d" % (key, amount, listed.get(key, 0)) if rule.amount else key
           for key, amount in rule.findings().items() if amount > listed.get(key, 0)]
    assert not new, "%s (a moved file: tests/tidy/shrink --moved OLD NEW): %s" % (rule.says, new)


def test_each_exception_is_needed(rule):
    idle = sorted(set(rule.exceptions()) - set(rule.findings()))
    assert not idle, "run tests/tidy/shrink: %s need no exception any more" % idle


def test_no_list_is_without_a_rule():
    lists = {path.stem for path in rules.EXCEPTIONS.glob("*")}
    assert lists <= {rule.name for rule in rules.RULES}
