/// How anything in stepd says no: one exception, one list of codes, argument checks.
///
/// Start at [ServiceException]. Depends on nothing.
@NullMarked
package dev.stepd.error;

import org.jspecify.annotations.NullMarked;
