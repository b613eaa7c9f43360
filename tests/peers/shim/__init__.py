"""A shim in front of moto: what Amazon ECS does over time, and the limits of its API, which moto leaves out.

    app.py       the WSGI application: takes requests, keeps a list of them, answers or hands them on
    ecs.py       the operations of ECS that moto lacks, or answers with less than AWS does
    rollout.py   services over time: deployments, revisions, tasks, the circuit breaker, rollbacks
    once.py      tasks that run once, and how they end
    health.py    load balancers as far as ECS changes them: the tasks of services are their targets
    balancers.py load balancers by their kind
    names.py     Cloud Map as far as ECS changes it: the tasks of services are its instances
    groups.py    Auto Scaling groups: several behind one load balancer, instances that never answer
    policies.py  policies of Application Auto Scaling that are put again

Sources: the API models and texts that botocore carries (service `ecs`, 2014-11-13) and the ECS developer guide. The shim
knows AWS's API and nothing of who calls it. What it says nothing about, moto answers untouched.

Its clock is counted in looks: each DescribeServices of a service brings that service one step on. No test waits longer
than it polls.
"""
