/* tdPictures, numbers: what a camera saw and a model predicted, as tdlib/explorer/python/pictures.py writes it. Frames lie side by
   side in sheets, pictures in base64. Without page or request, so that tests run it. */
(function (root) {
  "use strict";
  var td = (root.tdPictures = root.tdPictures || {}), loaded = (td.loaded = td.loaded || {});

  /** Take the content of a page's file. */
  td.load = function (content) { loaded[content.env] = content; };

  /** What belongs to a choice in a page's content: sheets of all rates, where the frames of this one begin, and numbers. */
  td.found = function (content, wanted) {
    var own = wanted.arm + "|" + wanted.start + "|" + wanted.test, numbers = content.numbers[own + "|" + wanted.rate];
    return { truth: content.sheets[numbers.truth], predicted: content.sheets[own], begins: numbers.begins, numbers: numbers };
  };

  /** What is drawn: times [s] of true frames, the first `known` before the start at 0; errors after each step; of sheets the places
      of the first frames. */
  td.view = function (header, found, wanted) {
    var own = found.numbers;
    return {
      rate: wanted.rate, trained: header.trained, test: header.tests[wanted.test].charAt(0), times: own.times,
      known: own.times.length - own.errors.model.length - 1, errors: own.errors, ball: own.ball, begins: found.begins,
    };
  };

  /** Number of the predicted frame nearest to a time [s]. */
  td.nearest = function (view, time) {
    var best = 0, first = view.known + 1;
    view.ball.forEach(function (_, k) {
      if (Math.abs(view.times[first + k] - time) < Math.abs(view.times[first + best] - time) - 1e-9) best = k;
    });
    return best;
  };

  /** What the pictures show, in a sentence or two; `k` is the number of a predicted frame. */
  td.words = function (view, k, number) {
    var mse = view.errors.model, copied = view.errors.copy_last[k], time = view.times[view.known + 1 + k], ball = view.ball[k];
    var mean = mse.reduce(function (sum, value) { return sum + value; }, 0) / mse.length;
    return "At " + view.rate + " Hz (trained at " + view.trained + " Hz) in test " + view.test + ", " + number(time) + " s after the last frame that is seen (step " + (k + 1) + " of " + mse.length +
      ", one motion): squared error " + number(mse[k]) + " per value" + (copied > 0 ? ", " + number(mse[k] / copied) + " times that of a copy of the last frame" : "") +
      "; " + (ball === null ? "no ball is predicted" : "the ball is " + number(ball) + " pixels from where it is") + ". Over all steps the squared error is " + number(mean) + ".";
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
