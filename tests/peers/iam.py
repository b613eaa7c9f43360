"""What moto's reader of IAM policies says to questions, as one JSON document in and one out.

In: {"documents": [policy], "asks": [{"action": …, "resource": …}]}. Out: [whether it is allowed]. Conditions are left
out by who asks: moto takes one that is not met for a denial of everything, where AWS takes the statement for not given.
"""

import json
import sys

from moto.iam.access_control import IAMPolicy, PermissionResult


def main():
    order = json.load(sys.stdin)
    policies = [IAMPolicy({"policy_document": json.dumps(document)}) for document in order["documents"]]

    def allowed(ask):
        answers = [policy.is_action_permitted(ask["action"], ask["resource"]) for policy in policies]
        return PermissionResult.PERMITTED in answers

    print(json.dumps([allowed(ask) for ask in order["asks"]]))


if __name__ == "__main__":
    main()
