"""Reads [schema, arguments] from each line, and says on a line for each whether they are valid."""

import json
import sys

from jsonschema import Draft202012Validator, validators

for line in sys.stdin:
    schema, instance = json.loads(line)
    validator = validators.validator_for(schema, default=Draft202012Validator)
    print("yes" if validator(schema).is_valid(instance) else "no")
