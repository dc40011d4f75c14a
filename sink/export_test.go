package sink

// FinishedStem is for tests.
var FinishedStem = finishedStem
