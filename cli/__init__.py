"""The command `headrace`, on the deployer's machine: a module for each command, which declares its arguments.

What a command does lies in modules beside it that know no terminal.
"""
