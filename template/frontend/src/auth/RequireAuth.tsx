import { Navigate, Outlet, useLocation } from 'react-router'
import { useToken } from './token'

/** The pages within are for users. Others log in first, and then see the page that they wanted. */
export function RequireAuth() {
  const token = useToken()
  const { pathname, search } = useLocation()

  if (token === null) {
    const state = { from: pathname + search }
    return <Navigate to="/login" replace state={state} />
  }
  // For another user they start anew: nothing of the last one's stays.
  return <Outlet key={token} />
}
