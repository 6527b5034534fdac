// Where answers are sent; null: the listener saves them as a file. `hearsight study serve` answers with its own.
window.COLLECT = null;
