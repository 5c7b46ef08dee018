module handclasp.test/faults

go 1.21
