package dev.stepd.session;

import dev.stepd.store.StoredSnapshot;
import dev.stepd.store.StoredSnapshot.Parent;

/// A line of states that come out of each other by steps: the last of them that is stored is the parent of the next. A restore begins
/// another. Of the threads that store, but to be begun.
final class Descent {
    private Parent last;

    Descent(Parent from) {
        last = from;
    }

    synchronized Parent last() {
        return last;
    }

    synchronized void stored(StoredSnapshot snapshot) {
        last = snapshot.asParent();
    }
}
