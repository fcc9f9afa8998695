"""Archives that age: policy, plan, forecast; the plan is a pure function of what is there and of the time."""
