"""What bots can make honest members see, with the limits on what one member can teach, and without.

An audience with known tastes comes for some days, and is shown what Keyart chooses. On the last day a tenth of all
members turn out to be bots. Each of them pushes one artwork of one title: of the titles of which it is shown the
artwork to push, it takes one, and sends looks at it and plays of it all day long. Their tokens are real. Only what
the app has chosen for a member is signed for that member, so which artwork a bot can push is not for it to decide.
What bots do is one of these:

flood
    Nine tenths of the day's plays are theirs: each with a look of its own while the app shows them the artwork,
    and with a token that they have when it does not any more.
look
    The same looks, and no plays: the artwork is to be shown less.
once
    Each looks once and plays once, as a member would. No limit can tell.
honest
    They do what they always did, to compare with: a tenth more members change choices too.

Honest members do exactly the same with and without them, so the evidence that they give is equal. In the end
everything that honest members looked at on that day is chosen once more, from the last snapshots. What differs is
the bots' work.

All that learns and chooses is the product's own: a viewing worker's task, a learner's, and snapshots as a node
serves them, with records as they are on the topics. Only Kafka is left out.
"""
