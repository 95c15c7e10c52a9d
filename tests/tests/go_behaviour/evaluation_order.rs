//! Go's `test/chan`, select5: in which order the expressions of a select are evaluated, and how often.
