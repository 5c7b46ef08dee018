module handclasp.interop/peer

go 1.27
