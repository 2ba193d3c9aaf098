"""Other machines that paint for this service: certificates, the processes that speak Dask, and how
files travel. Whatever imports Dask does so in processes of the fleet alone, never in the service.
"""
