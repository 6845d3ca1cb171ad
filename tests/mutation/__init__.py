"""Mutation testing of the rules of money: every small change of a rule must turn a unit test red (docs/mutation.md).

    python -m tests.mutation [NAMES]   stages rules and unit tests in .mutants/, lets mutmut change the rules, writes the page
    python -m tests.mutation page      only the page, from the results that are there

mutmut wants one source tree with the tests beside it, and this workspace has many: hence the stage. `justified.yaml` says of
each mutant that survives why it may.
"""
